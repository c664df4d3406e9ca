//! The task and its ports.

use super::Name;
use crate::port::TASK_SELF;

export_static! {
    static mach_task_self_: u32 = TASK_SELF;
    static bootstrap_port: u32 = 0x303;
    static vm_page_size: usize = 4096;
    static vm_page_mask: usize = 4095;
    static vm_page_shift: i32 = 12;
    static vm_kernel_page_size: usize = 16384;
}

export! {
    fn mach_task_self() -> Name {
        Name::from(TASK_SELF)
    }

    fn mach_host_self() -> Name {
        Name::from(crate::port::MAIN_PORT)
    }

    fn task_self_trap() -> Name {
        Name::from(TASK_SELF)
    }
}
