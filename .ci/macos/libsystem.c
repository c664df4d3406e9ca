// What the recorder uses of libSystem and macho-run does not have, for programs whose IOKit is
// libIOKit.so: linked with it, so that one library has both.
int __register_atfork(void (*before)(void), void (*parent)(void), void (*child)(void), void *library);
int pthread_atfork(void (*before)(void), void (*parent)(void), void (*child)(void)) {
  return __register_atfork(before, parent, child, 0);
}
