mod access;
mod https;
