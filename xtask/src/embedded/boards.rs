//! The boards.

/// A machine that QEMU knows, and what the firmware is built for.
pub(super) struct Board {
    pub(super) target: &'static str,
    pub(super) qemu: &'static str,
    pub(super) machine: &'static [&'static str],
    /// An instruction takes 2 to this power nanoseconds: no less than a tick of the board's timer, but
    /// for the microbit's, where it is the same within a fortieth. Where there is none, it takes what it takes.
    pub(super) shift: Option<u32>,
    /// Whether it is one of `--quick`.
    pub(super) quick: bool,
}

const SEMIHOSTING: &str = "enable=on,target=native";

pub(super) const BOARDS: [Board; 5] = [
    Board {
        target: "thumbv6m-none-eabi",
        qemu: "qemu-system-arm",
        machine: &["-M", "microbit", "-semihosting-config", SEMIHOSTING],
        shift: Some(6),
        quick: true,
    },
    Board {
        target: "thumbv7m-none-eabi",
        qemu: "qemu-system-arm",
        machine: &["-M", "lm3s6965evb", "-semihosting-config", SEMIHOSTING],
        shift: Some(7),
        quick: false,
    },
    Board {
        target: "thumbv7em-none-eabihf",
        qemu: "qemu-system-arm",
        machine: &["-M", "mps2-an386", "-semihosting-config", SEMIHOSTING],
        shift: Some(6),
        quick: false,
    },
    Board {
        target: "riscv32imac-unknown-none-elf",
        qemu: "qemu-system-riscv32",
        machine: &["-M", "virt", "-bios", "none"],
        shift: Some(7),
        quick: false,
    },
    Board {
        target: "riscv32imc-unknown-none-elf",
        qemu: "qemu-system-riscv32",
        machine: &["-M", "virt", "-bios", "none", "-cpu", "rv32,a=false"],
        shift: Some(7),
        quick: true,
    },
];

/// Two cores, each a thread of QEMU's.
pub(super) const TWO_CORES: Board = Board {
    target: "riscv32imac-unknown-none-elf",
    qemu: "qemu-system-riscv32",
    machine: &["-M", "virt", "-bios", "none", "-smp", "2", "-accel", "tcg,thread=multi"],
    shift: None,
    quick: false,
};
