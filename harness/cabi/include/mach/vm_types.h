/* Sizes and addresses. */
#ifndef DEXTAPE_MACH_VM_TYPES_H
#define DEXTAPE_MACH_VM_TYPES_H

#include <mach/port.h>
#include <stdint.h>

typedef uintptr_t vm_offset_t;
typedef uintptr_t vm_address_t;
typedef uintptr_t vm_size_t;
typedef uint64_t mach_vm_address_t;
typedef uint64_t mach_vm_offset_t;
typedef uint64_t mach_vm_size_t;
typedef uint64_t vm_map_offset_t;
typedef uint64_t vm_map_address_t;
typedef uint64_t vm_map_size_t;
typedef mach_port_t vm_map_t;
typedef int vm_prot_t;
typedef unsigned vm_inherit_t;
typedef int vm_behavior_t;
typedef uintptr_t pointer_t;

#define VM_PROT_NONE ((vm_prot_t)0)
#define VM_PROT_READ ((vm_prot_t)1)
#define VM_PROT_WRITE ((vm_prot_t)2)
#define VM_PROT_EXECUTE ((vm_prot_t)4)
#define VM_FLAGS_FIXED 0
#define VM_FLAGS_ANYWHERE 1

#endif
