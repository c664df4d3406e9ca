// The client of the scenario hid-frames in C++: a security key in software, which answers what the host asks for. Its
// argument says how frames come: scalars, notice-of-each or notice-of-first.
#include "client.h"
#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <vector>

namespace {

enum { SEND_FRAME, NOTIFY_FRAME, START, STOP, GET_FRAME };
enum { PING = 0x01, INIT = 0x06, NUMBERED = 0x40 };

constexpr size_t FRAME = 64, FIRST = FRAME - 7, FURTHER = FRAME - 5;
constexpr uint32_t BROADCAST = 0xffffffff, CHANNEL = 0x101;
constexpr unsigned BUSY_MS = 50, BURST = 12;

using Frame = std::array<uint8_t, FRAME>;
using Bytes = std::vector<uint8_t>;

uint32_t big_endian(const uint8_t *bytes) {
  return uint32_t(bytes[0]) << 24 | uint32_t(bytes[1]) << 16 | uint32_t(bytes[2]) << 8 | bytes[3];
}

void put_big_endian(uint8_t *bytes, uint32_t word) {
  for (int i = 0; i < 4; i++) bytes[i] = uint8_t(word >> (24 - 8 * i));
}

struct Message {
  uint32_t channel = 0;
  uint8_t command = 0;
  Bytes payload;

  // The frames that it is cut into.
  std::vector<Frame> frames() const {
    Frame frame{};
    put_big_endian(frame.data(), channel);
    frame[4] = command | 0x80;
    frame[5] = uint8_t(payload.size() >> 8), frame[6] = uint8_t(payload.size());
    size_t at = std::min(payload.size(), FIRST);
    std::copy(payload.begin(), payload.begin() + long(at), frame.begin() + 7);
    std::vector<Frame> frames{frame};
    for (uint8_t number = 0; at < payload.size(); number++) {
      size_t length = std::min(payload.size() - at, FURTHER);
      frame.fill(0);
      put_big_endian(frame.data(), channel);
      frame[4] = number;
      std::copy_n(payload.begin() + long(at), length, frame.begin() + 5);
      frames.push_back(frame);
      at += length;
    }
    return frames;
  }
};

// Puts messages together from frames.
class Assembler {
public:
  bool push(const Frame &frame, Message *message) {
    uint32_t channel = big_endian(frame.data());
    if (frame[4] & 0x80) {
      length_ = size_t(frame[5]) << 8 | frame[6];
      next_ = 0, begun_ = true;
      message_.channel = channel;
      message_.command = frame[4] & 0x7f;
      message_.payload.assign(frame.begin() + 7, frame.begin() + 7 + long(std::min(length_, FIRST)));
    } else {
      if (!begun_ || channel != message_.channel || frame[4] != next_) return false;
      size_t more = std::min(length_ - message_.payload.size(), FURTHER);
      message_.payload.insert(message_.payload.end(), frame.begin() + 5, frame.begin() + 5 + long(more));
      next_++;
    }
    if (message_.payload.size() != length_) return false;
    begun_ = false;
    *message = message_;
    return true;
  }

private:
  Message message_;
  size_t length_ = 0;
  uint8_t next_ = 0;
  bool begun_ = false;
};

class Key {
public:
  explicit Key(bool fetches) : fetches_(fetches), connect_(open_dext("HidFrames")), port_(IONotificationPortCreate(kIOMainPortDefault)) {
    CFRunLoopAddSource(CFRunLoopGetCurrent(), IONotificationPortGetRunLoopSource(port_), kCFRunLoopDefaultMode);
  }
  ~Key() { IONotificationPortDestroy(port_); }
  Key(const Key &) = delete;
  Key &operator=(const Key &) = delete;

  void run() {
    begin();
    answer();
    burst();
    end();
    printf("close: %s\n", told(IOServiceClose(connect_)));
  }

private:
  bool fetches_;
  io_connect_t connect_;
  IONotificationPortRef port_;
  std::deque<Frame> frames_;
  Assembler assembler_;

  kern_return_t plain(uint32_t selector) { return IOConnectCallScalarMethod(connect_, selector, nullptr, 0, nullptr, nullptr); }

  kern_return_t send_bytes(const uint8_t *bytes, size_t size) {
    return IOConnectCallStructMethod(connect_, SEND_FRAME, bytes, size, nullptr, nullptr);
  }

  kern_return_t fetch(Frame *frame) {
    size_t size = frame->size();
    return IOConnectCallStructMethod(connect_, GET_FRAME, nullptr, 0, frame->data(), &size);
  }

  // A frame comes as eight scalars; a notice comes without.
  static void came(void *context, IOReturn status, void **arguments, uint32_t count) {
    static_cast<Key *>(context)->take(status, arguments, count);
  }
  static void noticed(void *context, IOReturn status) { static_cast<Key *>(context)->take(status, nullptr, 0); }

  void take(IOReturn status, void **arguments, uint32_t count) {
    if (status != kIOReturnSuccess) {
      printf("a completion with %s\n", told(status));
      return;
    }
    Frame frame;
    if (!fetches_) {
      if (count != FRAME / 8) {
        printf("a completion of %u arguments\n", count);
        return;
      }
      for (size_t i = 0; i < FRAME; i++) frame[i] = uint8_t(uintptr_t(arguments[i / 8]) >> (i % 8 * 8));
      frames_.push_back(frame);
      return;
    }
    kern_return_t result;
    while ((result = fetch(&frame)) == kIOReturnSuccess) frames_.push_back(frame);
    // Fetched already, for an earlier notice.
    if (result != kIOReturnNoFrames) printf("fetch: %s\n", told(result));
  }

  void listen() {
    uint64_t reference[kOSAsyncRef64Count] = {0};
    reference[kIOAsyncCalloutFuncIndex] = fetches_ ? uint64_t(uintptr_t(noticed)) : uint64_t(uintptr_t(came));
    reference[kIOAsyncCalloutRefconIndex] = uint64_t(uintptr_t(this));
    kern_return_t result = IOConnectCallAsyncScalarMethod(connect_, NOTIFY_FRAME, IONotificationPortGetMachPort(port_), reference,
                                                          kIOAsyncCalloutCount, nullptr, 0, nullptr, nullptr);
    printf("notify: %s\n", told(result));
  }

  void begin() {
    uint8_t bytes[FRAME + 1] = {0};
    printf("send before start: %s\n", told(send_bytes(bytes, FRAME)));
    printf("notify without a port: %s\n", told(plain(NOTIFY_FRAME)));
    listen();
    // As programs do that think it is good for one frame only.
    listen();
    printf("start: %s\n", told(plain(START)));
    printf("start again: %s\n", told(plain(START)));
    printf("send 63: %s\n", told(send_bytes(bytes, FRAME - 1)));
    memset(bytes, 1, sizeof bytes);
    printf("send 65 without a report: %s\n", told(send_bytes(bytes, FRAME + 1)));
  }

  // The next message of the host, if one comes within a second.
  bool next(Message *message) {
    for (;;) {
      while (!frames_.empty()) {
        Frame frame = frames_.front();
        frames_.pop_front();
        if (assembler_.push(frame, message)) return true;
      }
      if (CFRunLoopRunInMode(kCFRunLoopDefaultMode, 1, true) != kCFRunLoopRunHandledSource) return false;
    }
  }

  void send(const Message &message) {
    bool with_report = false;
    for (const Frame &frame : message.frames()) {
      // With the number of the report and without it: the dext takes both.
      uint8_t bytes[FRAME + 1] = {0};
      std::copy(frame.begin(), frame.end(), bytes + 1);
      kern_return_t sent = with_report ? send_bytes(bytes, sizeof bytes) : send_bytes(frame.data(), FRAME);
      if (sent != kIOReturnSuccess) printf("send: %s\n", told(sent));
      with_report = !with_report;
    }
  }

  // Answers the host until it has pinged.
  void answer() {
    Message message;
    for (;;) {
      if (!next(&message)) {
        printf("no frame within 1 s\n");
        return;
      }
      if (message.command == INIT) {
        printf("init, %zu bytes on %#x\n", message.payload.size(), message.channel);
        uint8_t channel[4];
        put_big_endian(channel, CHANNEL);
        message.payload.insert(message.payload.end(), channel, channel + 4);
        // Version 2 of the protocol, version 1.0.0 of the device, no capabilities.
        for (uint8_t byte : {2, 1, 0, 0, 0}) message.payload.push_back(byte);
        message.channel = BROADCAST;
        send(message);
      } else if (message.command == PING) {
        printf("ping, %zu bytes on %#x\n", message.payload.size(), message.channel);
        return send(message);
      } else {
        printf("command %#x, %zu bytes\n", unsigned(message.command), message.payload.size());
      }
    }
  }

  // Does something else while the host sends reports, then takes them.
  void burst() {
    pause_ms(BUSY_MS);
    unsigned count = 0;
    bool in_order = true;
    Message message;
    while (count < BURST && next(&message)) {
      count++;
      in_order = in_order && message.command == NUMBERED && message.payload.size() >= 4 && big_endian(message.payload.data()) == count;
    }
    printf("reports while busy: %u of %u%s\n", count, BURST, in_order ? "" : ", not in order");
  }

  // Unplugs the device and sees whether it is quiet.
  void end() {
    printf("stop: %s\n", told(plain(STOP)));
    unsigned late = 0;
    Message message;
    while (next(&message)) late++;
    printf("reports after stop: %u\n", late);
    const Frame frame{};
    printf("send after stop: %s\n", told(send_bytes(frame.data(), FRAME)));
    Frame left;
    if (fetches_) printf("fetch after stop: %s\n", told(fetch(&left)));
  }
};

}  // namespace

int main(int argc, char **argv) {
  Key(argc > 1 && strcmp(argv[1], "scalars") != 0).run();
  return 0;
}
