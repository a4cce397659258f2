mod cleanup;
mod ensure;
mod nodes;
mod triggers;
mod world;
