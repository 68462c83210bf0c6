//! Deliveries that end before their messages do, or whose consumers do.
