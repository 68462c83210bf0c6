"""How the programs of this folder speak: a line for each thing that happens.

For people it is words; with `--json` it is an object a line, for programs that look on.
"""

import json
import sys
import threading


def add_option(parser):
    """The option that all of them have."""
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")


def sentence(event, facts):
    """What happened, for people."""
    said = ["%s=%s" % (name, value) if name in ("container", "device", "link", "status") else value
            for name, value in facts.items() if value is not None]
    return " ".join(["%-10s" % event, *map(str, said)])


def teller(arguments):
    """A function that prints what happened, with its facts."""
    def tell(event, **facts):
        if arguments.json:
            text = json.dumps({"event": event, **facts})
        else:
            text = sentence(event, facts)
        print(text, flush=True)
    return tell


def listen(heard):
    """Calls `heard` with each line of standard input, on a thread of its own."""
    def read():
        for line in sys.stdin:
            if line.strip():
                heard(line.strip())
    threading.Thread(target=read, daemon=True).start()


def run(container):
    """Runs a Proton container until somebody interrupts it."""
    try:
        container.run()
    except KeyboardInterrupt:
        pass
