//! The contract, carried out: observe, plan, execute, until there is nothing left to do.

pub mod address_book;
mod bgp;
mod execute;
#[cfg(test)]
mod histories;
pub mod instances;
pub mod load_balancer;

pub use address_book::AddressBook;
pub use instances::Instances;
pub use load_balancer::LoadBalancers;
