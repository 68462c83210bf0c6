//! What a router believes of others, and what it does not.
