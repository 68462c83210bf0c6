//! A shard, or several, with a control plane and AMQP peers, all in memory and one after the other.

mod autolinks;
mod classes;
mod counts;
mod dialled;
mod fallback;
mod incumbent;
mod lanes;
mod leaving;
mod logins;
mod names;
mod parting;
mod precedence;
mod relief;
mod remains;
mod routed;
mod routing;
mod scene;
mod settling;
mod silence;
mod strangers;
mod streams;
mod transit;
mod trunks;
mod windows;
mod world;
