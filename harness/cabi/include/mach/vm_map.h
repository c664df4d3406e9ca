/* Memory of the task. */
#ifndef DEXTAPE_MACH_VM_MAP_H
#define DEXTAPE_MACH_VM_MAP_H

#include <mach/mach_types.h>

#ifdef __cplusplus
extern "C" {
#endif
kern_return_t vm_allocate(vm_map_t task, vm_address_t *address, vm_size_t size, int flags);
kern_return_t vm_deallocate(vm_map_t task, vm_address_t address, vm_size_t size);
kern_return_t vm_copy(vm_map_t task, vm_address_t from, vm_size_t size, vm_address_t to);
kern_return_t mach_vm_allocate(vm_map_t task, mach_vm_address_t *address, mach_vm_size_t size, int flags);
kern_return_t mach_vm_deallocate(vm_map_t task, mach_vm_address_t address, mach_vm_size_t size);
#ifdef __cplusplus
}
#endif

#endif
