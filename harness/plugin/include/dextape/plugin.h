/* What passes between dextape and a plug-in, in C. A dext in C++ includes <DriverKit/DriverKit.h> instead, which
 * stands on this.
 *
 * A plug-in is a shared library with two symbols: `dextape_plugin_version`, and `dextape_plugin`, which is
 * given the functions of dextape and gives its own. Nothing unwinds from either side to the other. All
 * functions may be called on any thread; those of one object are called one at a time. */
#ifndef DEXTAPE_PLUGIN_H
#define DEXTAPE_PLUGIN_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DEXTAPE_PLUGIN_VERSION 1

/* An object of the mock. It is no address. 0 is none. */
typedef uint64_t dextape_handle;

/* Class of an object: 0 is none, or one that is gone. */
enum {
  DEXTAPE_DATA = 1,
  DEXTAPE_BUFFER = 2,
  DEXTAPE_DESCRIPTOR = 3,
  DEXTAPE_MAP = 4,
  DEXTAPE_QUEUE = 5,
  DEXTAPE_TIMER = 6,
  DEXTAPE_ACTION = 7
};

/* A function with its context. `destroy` is called once, whatever becomes of the rest. The arguments are the
 * action and the time where it is a timer's, and 0 elsewhere. */
typedef struct {
  void *context;
  void (*call)(void *context, dextape_handle action, uint64_t value);
  void (*destroy)(void *context);
} dextape_callback;

/* IOUserClientMethodArguments. */
typedef struct {
  uint64_t version;
  uint64_t selector;
  dextape_handle completion;
  const uint64_t *scalar_input;
  uint32_t scalar_input_count;
  dextape_handle structure_input;
  dextape_handle structure_input_descriptor;
  uint64_t *scalar_output;
  uint32_t scalar_output_count;
  dextape_handle structure_output;
  dextape_handle structure_output_descriptor;
  uint64_t structure_output_maximum_size;
  uint64_t reserved[30];
} dextape_arguments;

/* What an entry of a dispatch table demands. */
typedef struct {
  uint32_t has_function;
  uint32_t completion_exists;
  uint32_t scalar_input_count;
  uint32_t structure_input_size;
  uint32_t scalar_output_count;
  uint32_t structure_output_size;
} dextape_checks;

/* What dextape gives. Results are codes of IOKit; objects are made with one reference. */
typedef struct {
  uint32_t version;
  uint32_t size;
  void (*retain)(dextape_handle);
  void (*release)(dextape_handle);
  uint32_t (*retain_count)(dextape_handle);
  uint32_t (*kind)(dextape_handle);
  void (*log)(const char *line, uint64_t length);
  uint64_t (*uptime)(void);
  void (*sleep)(uint64_t nanoseconds);
  dextape_handle (*data_with_bytes)(const void *bytes, uint64_t length);
  const void *(*data_bytes)(dextape_handle, uint64_t *length);
  int32_t (*buffer_create)(uint64_t options, uint64_t capacity, uint64_t alignment, dextape_handle *out);
  int32_t (*buffer_set_length)(dextape_handle, uint64_t length);
  int32_t (*buffer_address_range)(dextape_handle, uint64_t *address, uint64_t *length);
  int32_t (*descriptor_length)(dextape_handle, uint64_t *length);
  int32_t (*descriptor_map)(dextape_handle, uint64_t options, uint64_t address, uint64_t offset,
                            uint64_t length, uint64_t alignment, dextape_handle *out);
  int32_t (*descriptor_sub)(dextape_handle, uint64_t options, uint64_t offset, uint64_t length,
                            dextape_handle *out);
  int32_t (*map_range)(dextape_handle, uint64_t *address, uint64_t *length, uint64_t *offset);
  int32_t (*queue_create)(const char *name, uint64_t options, dextape_handle *out);
  int32_t (*queue_copy_default)(dextape_handle *out);
  void (*queue_dispatch)(dextape_handle, dextape_callback, uint32_t sync);
  uint32_t (*queue_on)(dextape_handle);
  int32_t (*queue_cancel)(dextape_handle, dextape_callback done);
  int32_t (*timer_create)(dextape_handle queue, dextape_handle *out);
  int32_t (*timer_set_action)(dextape_handle, dextape_handle action);
  int32_t (*timer_wake)(dextape_handle, uint64_t deadline);
  int32_t (*timer_enable)(dextape_handle, uint32_t enable);
  int32_t (*timer_cancel)(dextape_handle, dextape_callback done);
  int32_t (*action_create_timer)(dextape_callback, uint64_t reference_size, dextape_handle *out);
  void *(*action_reference)(dextape_handle);
  void (*action_cancel)(dextape_handle);
  void (*async_completion)(dextape_handle, int32_t status, const uint64_t *arguments, uint32_t count);
  /* What IOUserClient::ExternalMethod of the base says before the function is called. */
  int32_t (*check_dispatch)(const dextape_arguments *, const dextape_checks *);
  /* IOService::Create of a property: writes the IOUserClass. */
  int32_t (*create)(const char *key, char *user_class, uint64_t room);
  int32_t (*base_new_user_client)(void);
  int32_t (*base_copy_memory)(void);
  /* The object has passed its Stop to the base. */
  void (*super_stop)(void *object);
} dextape_host;

/* A property of the personality that describes a user client. */
typedef struct {
  const char *key;
  const char *io_class;
  const char *user_class;
} dextape_client_property;

/* What a plug-in gives. Objects come with a reference, which `object_release` takes back. */
typedef struct {
  uint32_t version;
  uint32_t size;
  const char *user_class;
  const char *bundle_id;
  const dextape_client_property *properties;
  uint64_t property_count;
  void *(*service_new)(void);
  int32_t (*service_start)(void *service);
  int32_t (*service_stop)(void *service);
  int32_t (*service_new_user_client)(void *service, uint32_t type, void **client);
  int32_t (*client_start)(void *client, void *service);
  int32_t (*client_stop)(void *client, void *service);
  int32_t (*client_external_method)(void *client, uint64_t selector, dextape_arguments *arguments);
  int32_t (*client_copy_memory)(void *client, uint64_t type, uint64_t *options, dextape_handle *memory);
  dextape_handle (*client_queue)(void *client, const char *name);
  void (*object_release)(void *object);
} dextape_plugin_table;

#ifdef __cplusplus
}
#endif

#endif
