//! The whole system's tests: one binary, a file a topic.

mod api;
mod architecture;
mod attacks;
mod command_line;
mod end_to_end;
mod examples;
mod gpus;
mod kbs;
mod operator;
mod promises;
mod support;
