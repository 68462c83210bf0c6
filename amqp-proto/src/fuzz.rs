//! Fuzz bodies as library functions, so that plain tests can replay a corpus.
