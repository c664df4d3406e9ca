/* DEXTAPE_DEXT: which dext a library has. In one of its sources, outside of any namespace:
 *
 *   DEXTAPE_DEXT(NullDriver, "com.example.null-driver",
 *                DEXTAPE_CLIENT("UserClientProperties", NullDriverUserClient))
 *
 * That is what the Info.plist says on a Mac: the IOUserClass and bundle of the personality, and the
 * dictionaries that Create makes user clients of, each with IOClass IOUserUserClient. */
#ifndef DEXTAPE_DRIVERKIT_PLUGIN_H
#define DEXTAPE_DRIVERKIT_PLUGIN_H

#include <DriverKit/IOUserClient.h>

namespace DEXTAPE_HIDDEN dextape {
struct Client {
  dextape_client_property property;
  Factory factory;
};

template <class T> IOService *make_object() { return new T; }

/* The functions of the table: nothing unwinds out of them. */
template <class T> void *service_new() noexcept {
  IOService *service = new T;
  if (service->init()) return service;
  service->release();
  return nullptr;
}
inline IOService *nub() {
  static IOService *nub = new IOService;
  return nub;
}
inline int32_t service_start(void *service) noexcept {
  return static_cast<IOService *>(service)->Start(nub());
}
inline int32_t service_stop(void *service) noexcept {
  return static_cast<IOService *>(service)->Stop(nub());
}
inline int32_t service_new_user_client(void *service, uint32_t type, void **client) noexcept {
  IOUserClient *made = nullptr;
  int32_t result = static_cast<IOService *>(service)->NewUserClient(type, &made);
  // The table speaks of services only.
  *client = static_cast<IOService *>(made);
  return result;
}
inline IOUserClient *client_of(void *client) {
  return static_cast<IOUserClient *>(static_cast<IOService *>(client));
}
inline int32_t client_start(void *client, void *service) noexcept {
  return client_of(client)->Start(static_cast<IOService *>(service));
}
inline int32_t client_stop(void *client, void *service) noexcept {
  return client_of(client)->Stop(static_cast<IOService *>(service));
}
inline int32_t client_external_method(void *client, uint64_t selector,
                                      dextape_arguments *arguments) noexcept {
  auto *passed = reinterpret_cast<IOUserClientMethodArguments *>(arguments);
  return client_of(client)->ExternalMethod(selector, passed, nullptr, nullptr, nullptr);
}
inline int32_t client_copy_memory(void *client, uint64_t type, uint64_t *options,
                                  dextape_handle *memory) noexcept {
  IOMemoryDescriptor *descriptor = nullptr;
  int32_t result = client_of(client)->CopyClientMemoryForType(type, options, &descriptor);
  *memory = handle(descriptor);
  return result;
}
inline dextape_handle client_queue(void *client, const char *name) noexcept {
  return client_of(client)->dextape_queue(name);
}
inline void object_release(void *object) noexcept { static_cast<IOService *>(object)->release(); }

template <class T, size_t N>
const dextape_plugin_table *plugin(const dextape_host *given, const char *name, const char *bundle,
                                   const Client (&clients)[N]) noexcept {
  if (given->version != DEXTAPE_PLUGIN_VERSION || given->size < sizeof(dextape_host)) return nullptr;
  static dextape_client_property properties[N];
  static dextape_plugin_table table = {
      DEXTAPE_PLUGIN_VERSION, sizeof(dextape_plugin_table), name, bundle, properties, N,
      service_new<T>, service_start, service_stop, service_new_user_client, client_start, client_stop,
      client_external_method, client_copy_memory, client_queue, object_release};
  host = given;
  for (size_t index = 0; index < N; index++) {
    properties[index] = clients[index].property;
    known().classes[clients[index].property.user_class] = clients[index].factory;
  }
  return &table;
}
}  // namespace dextape

#define DEXTAPE_CLIENT(key, name) \
  ::dextape::Client { {key, "IOUserUserClient", #name}, &::dextape::make_object<name> }

#define DEXTAPE_DEXT(name, bundle, ...)                                                            \
  extern "C" __attribute__((visibility("default"))) const uint32_t dextape_plugin_version;         \
  const uint32_t dextape_plugin_version = DEXTAPE_PLUGIN_VERSION;                                  \
  extern "C" __attribute__((visibility("default"))) const dextape_plugin_table *dextape_plugin(    \
      const dextape_host *host) {                                                                  \
    static const ::dextape::Client clients[] = {__VA_ARGS__};                                      \
    return ::dextape::plugin<name>(host, #name, bundle, clients);                                  \
  }

#endif
