//! What a processor is called: by people and image indexes, by Rust, and in a program's head.

use clap::ValueEnum;

/// A processor that there is an image for.
///
/// Another one is a variant here, and a target in the Makefile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Architecture {
    /// 64-bit x86.
    Amd64,
}

impl Architecture {
    /// As image indexes call it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
        }
    }

    /// As Rust calls it, with a libc that can be linked in whole.
    #[must_use]
    pub fn target(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-musl",
        }
    }

    /// As the head of an ELF file calls it (`e_machine`).
    #[must_use]
    pub fn machine(self) -> u16 {
        match self {
            Self::Amd64 => 62,
        }
    }
}
