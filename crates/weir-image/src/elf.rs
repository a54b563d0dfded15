//! Reads of a program's head whether it runs on an empty file system: nothing loads it, and it loads
//! nothing. Offsets and numbers are those of the ELF-64 specification.

use anyhow::{Context, Result, bail, ensure};

use crate::architecture::Architecture;

const DYNAMIC: u32 = 2;
const INTERPRETER: u32 = 3;
const NEEDED: u64 = 1;

/// Refuses a program that needs a loader or libraries, or that is for another processor.
///
/// # Errors
/// Why the program does not run on an empty file system.
pub fn check(program: &[u8], architecture: Architecture) -> Result<()> {
    ensure!(
        program.starts_with(b"\x7fELF\x02\x01"),
        "it is no 64-bit little-endian ELF file"
    );
    let machine = u16::from_le_bytes(bytes(program, 18)?);
    ensure!(
        machine == architecture.machine(),
        "it is for machine {machine}, not for {}",
        architecture.name()
    );
    let table = usize::try_from(u64::from_le_bytes(bytes(program, 32)?))?;
    let size = usize::from(u16::from_le_bytes(bytes(program, 54)?));
    let count = usize::from(u16::from_le_bytes(bytes(program, 56)?));
    ensure!(count > 0, "it has no segments: it is no program");
    for at in (0..count).map(|number| table.saturating_add(number * size)) {
        match u32::from_le_bytes(bytes(program, at)?) {
            INTERPRETER => bail!("it needs a loader: it is not statically linked"),
            DYNAMIC => check_dynamic(program, at)?,
            _ => {}
        }
    }
    Ok(())
}

/// A static program that can be placed anywhere has a dynamic segment too, without libraries in it.
fn check_dynamic(program: &[u8], segment: usize) -> Result<()> {
    let start = usize::try_from(u64::from_le_bytes(bytes(program, segment + 8)?))?;
    let length = usize::try_from(u64::from_le_bytes(bytes(program, segment + 32)?))?;
    for at in (start..start.saturating_add(length)).step_by(16) {
        match u64::from_le_bytes(bytes(program, at)?) {
            0 => break,
            NEEDED => bail!("it needs libraries: it is not statically linked"),
            _ => {}
        }
    }
    Ok(())
}

fn bytes<const N: usize>(program: &[u8], at: usize) -> Result<[u8; N]> {
    program
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .context("it ends before its tables do")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A program of one segment, whose content follows it.
    fn program(segment: u32, content: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; 64 + 56];
        bytes[..6].copy_from_slice(b"\x7fELF\x02\x01");
        bytes[18] = 62;
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes[64..68].copy_from_slice(&segment.to_le_bytes());
        bytes[64 + 8] = 64 + 56;
        bytes[64 + 32] = u8::try_from(content.len() * 8).unwrap();
        bytes.extend(content.iter().flat_map(|word| word.to_le_bytes()));
        bytes
    }

    fn refusal(program: &[u8]) -> String {
        check(program, Architecture::Amd64).unwrap_err().to_string()
    }

    #[test]
    fn static_programs_pass_whether_or_not_they_can_be_moved() {
        check(&program(1, &[]), Architecture::Amd64).unwrap();
        check(&program(DYNAMIC, &[30, 0, 0, 0]), Architecture::Amd64).unwrap();
        // What comes after the end of the table is none of it.
        check(&program(DYNAMIC, &[0, 0, 1, 0]), Architecture::Amd64).unwrap();
    }

    #[test]
    fn programs_that_need_something_are_refused() {
        assert!(refusal(&program(INTERPRETER, &[])).contains("a loader"));
        assert!(refusal(&program(DYNAMIC, &[30, 0, 1, 7])).contains("libraries"));
        let mut other = program(1, &[]);
        other[18] = 183;
        assert!(refusal(&other).contains("for machine 183, not for amd64"));
    }

    #[test]
    fn what_is_no_program_is_refused() {
        assert!(refusal(b"#!/bin/sh\n").contains("no 64-bit"));
        assert!(refusal(&program(1, &[])[..64]).contains("ends before"));
        let mut object = program(1, &[]);
        object[56] = 0;
        assert!(refusal(&object).contains("no program"));
    }

    #[test]
    fn the_tests_own_program_is_refused_unless_it_is_static_itself() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let checked = check(&own, Architecture::Amd64);
        let is_static = cfg!(all(target_arch = "x86_64", target_feature = "crt-static"));
        assert_eq!(checked.is_ok(), is_static, "{checked:?}");
    }
}
