//! One valid response, and one test per way to be refused.

mod accepted;
mod defects_of_the_evidence;
mod defects_of_the_instance;
mod devices;
mod every_bit;
mod scene;
mod vectors;
