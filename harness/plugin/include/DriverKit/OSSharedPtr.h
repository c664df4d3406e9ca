/* OSSharedPtr: a pointer that releases what it holds. */
#ifndef DEXTAPE_DRIVERKIT_OSSHAREDPTR_H
#define DEXTAPE_DRIVERKIT_OSSHAREDPTR_H

#include <DriverKit/OSObject.h>

struct OSNoRetainTag {};
struct OSRetainTag {};
inline constexpr OSNoRetainTag OSNoRetain{};
inline constexpr OSRetainTag OSRetain{};

template <class T> class OSSharedPtr {
 public:
  OSSharedPtr() = default;
  OSSharedPtr(decltype(nullptr)) {}
  OSSharedPtr(T *pointer, OSNoRetainTag) : pointer_(pointer) {}
  OSSharedPtr(T *pointer, OSRetainTag) : pointer_(pointer) {
    if (pointer_ != nullptr) pointer_->retain();
  }
  OSSharedPtr(const OSSharedPtr &other) : OSSharedPtr(other.pointer_, OSRetain) {}
  OSSharedPtr(OSSharedPtr &&other) noexcept : pointer_(other.detach()) {}
  ~OSSharedPtr() { reset(); }
  OSSharedPtr &operator=(OSSharedPtr other) noexcept {
    swap(other);
    return *this;
  }

  T *get() const { return pointer_; }
  T *operator->() const { return pointer_; }
  T &operator*() const { return *pointer_; }
  explicit operator bool() const { return pointer_ != nullptr; }
  T *detach() {
    T *pointer = pointer_;
    pointer_ = nullptr;
    return pointer;
  }
  void reset() { OSSafeReleaseNULL(pointer_); }
  void reset(T *pointer, OSNoRetainTag tag) { OSSharedPtr(pointer, tag).swap(*this); }
  void reset(T *pointer, OSRetainTag tag) { OSSharedPtr(pointer, tag).swap(*this); }
  void swap(OSSharedPtr &other) noexcept {
    T *pointer = pointer_;
    pointer_ = other.pointer_;
    other.pointer_ = pointer;
  }
  /* Room for a function that makes one. */
  T **attach() {
    reset();
    return &pointer_;
  }

 private:
  T *pointer_ = nullptr;
};

template <class T> bool operator==(const OSSharedPtr<T> &a, decltype(nullptr)) { return !a; }
template <class T> bool operator!=(const OSSharedPtr<T> &a, decltype(nullptr)) { return bool(a); }

#endif
