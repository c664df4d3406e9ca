//! `mach_port_*`.

use super::{
    KERN_FAILURE, KERN_INVALID_NAME, KERN_INVALID_RIGHT, KERN_INVALID_TASK, KERN_INVALID_VALUE,
    KERN_NO_SPACE, KERN_SUCCESS, Kern, Name,
};
use crate::port::{self, Right, TASK_SELF};
use crate::raw::Out;

fn right(number: u32) -> Option<Right> {
    Some(match number {
        0 => Right::Send,
        1 => Right::Receive,
        2 => Right::SendOnce,
        3 => Right::PortSet,
        4 => Right::DeadName,
        _ => return None,
    })
}

fn code(result: dextape::IoReturn) -> Kern {
    result.as_kern_return()
}

/// Dispositions of a right that is inserted.
const MAKE_SEND: u32 = 20;
const COPY_SEND: u32 = 19;
const MOVE_SEND: u32 = 17;

export! {
    fn mach_port_allocate(task: u32, kind: u32, name: Out<u32>) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        match right(kind) {
            Some(Right::Receive | Right::PortSet) => {}
            _ => return KERN_INVALID_VALUE,
        }
        match port::allocate_receive() {
            Some((made, _)) => {
                name.put(made);
                KERN_SUCCESS
            }
            None => KERN_NO_SPACE,
        }
    }

    fn mach_port_insert_right(task: u32, name: u32, from: u32, disposition: u32) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        if name != from {
            return KERN_FAILURE;
        }
        match disposition {
            MAKE_SEND | COPY_SEND => code(port::insert_send(name)),
            MOVE_SEND => KERN_SUCCESS,
            _ => KERN_INVALID_VALUE,
        }
    }

    fn mach_port_deallocate(task: u32, name: u32) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        code(crate::io::release(name))
    }

    fn mach_port_destroy(task: u32, name: u32) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        code(crate::io::destroy(name))
    }

    fn mach_port_destruct(task: u32, name: u32, send_delta: i32, _guard: u64) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        if send_delta != 0 {
            let changed = port::modify(name, Right::Send, i64::from(send_delta));
            if !changed.is_success() {
                return code(changed);
            }
        }
        code(port::modify(name, Right::Receive, -1))
    }

    fn mach_port_mod_refs(task: u32, name: u32, kind: u32, delta: i32) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        let Some(right) = right(kind) else { return KERN_INVALID_VALUE };
        code(crate::io::change(name, right, i64::from(delta)))
    }

    fn mach_port_get_refs(task: u32, name: u32, kind: u32, references: Out<u32>) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        let Some(right) = right(kind) else { return KERN_INVALID_VALUE };
        match port::references(name, right) {
            Some(count) => {
                references.put(count);
                KERN_SUCCESS
            }
            None => KERN_INVALID_NAME,
        }
    }

    fn mach_port_move_member(task: u32, member: u32, after: u32) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        let Some(member) = port::port_of(member) else { return KERN_INVALID_NAME };
        match port::port_of(after) {
            Some(set) => set.add_member(&member),
            None if after == 0 => {}
            None => return KERN_INVALID_RIGHT,
        }
        KERN_SUCCESS
    }

    fn mach_port_insert_member(task: u32, member: u32, set: u32) -> Kern {
        mach_port_move_member(task, member, set)
    }

    fn mach_port_extract_member(task: u32, member: u32, set: u32) -> Kern {
        if task != TASK_SELF {
            return KERN_INVALID_TASK;
        }
        match (port::port_of(member), port::port_of(set)) {
            (Some(member), Some(set)) => {
                set.remove_member(&member);
                KERN_SUCCESS
            }
            _ => KERN_INVALID_NAME,
        }
    }

    fn mach_port_set_attributes(_task: u32, name: u32, _flavor: i32, _info: usize, _count: u32) -> Kern {
        // The limit of a queue, which the kernel's own messages ignore (D18).
        if port::port_of(name).is_some() { KERN_SUCCESS } else { KERN_INVALID_NAME }
    }

    fn mach_reply_port() -> Name {
        port::allocate_receive().map_or(0, |(name, _)| Name::from(name))
    }
}
