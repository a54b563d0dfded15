//! The shell: everything of Weir that touches the world.
