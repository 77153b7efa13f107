// A C interface to libtorch's process groups, for mod.rs. Functions that can fail return whether
// they succeeded. On failure they write the reason into `error`: one line that ends with a zero
// byte.

#include <torch/csrc/distributed/c10d/ProcessGroupGloo.hpp>
#include <torch/csrc/distributed/c10d/TCPStore.hpp>
#ifdef USE_C10D_NCCL
#include <c10/cuda/CUDAFunctions.h>
#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>
#endif

#include <algorithm>
#include <cstring>

namespace {

struct Group {
  // The store of rank 0 contains the server, so it must live as long as the group.
  c10::intrusive_ptr<c10d::Store> store;
  c10::intrusive_ptr<c10d::Backend> backend;
};

void report(const char *what, char *error, size_t capacity) {
  size_t length = std::min(std::strcspn(what, "\n"), capacity - 1);
  std::memcpy(error, what, length);
  error[length] = 0;
}

// Runs `action` and reports its exceptions, because exceptions must not leave C++.
template <typename Action> bool guarded(char *error, size_t capacity, Action action) noexcept {
  try {
    action();
    return true;
  } catch (const c10::Error &caught) {
    report(caught.what_without_backtrace(), error, capacity);
  } catch (const std::exception &caught) {
    report(caught.what(), error, capacity);
  } catch (...) {
    report("an exception of unknown type", error, capacity);
  }
  return false;
}

c10::intrusive_ptr<c10d::Backend> join_gloo(const c10::intrusive_ptr<c10d::Store> &store, int rank, int size,
                                            std::chrono::milliseconds timeout) {
  // Uses the network interfaces in GLOO_SOCKET_IFNAME, or the one that the host name resolves to.
  auto options = c10d::ProcessGroupGloo::Options::create_default(timeout);
  return c10::make_intrusive<c10d::ProcessGroupGloo>(store, rank, size, options);
}

c10::intrusive_ptr<c10d::Backend> join_nccl(const c10::intrusive_ptr<c10d::Store> &store, int rank, int size,
                                            std::chrono::milliseconds timeout, int device) {
#ifdef USE_C10D_NCCL
  // NCCL refuses two processes on one GPU. Operations on the current device must therefore use this
  // one.
  c10::cuda::set_device(static_cast<c10::DeviceIndex>(device));
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = timeout;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, options);
#else
  throw std::runtime_error("this build has no NCCL: run setup --cuda and build again");
#endif
}

} // namespace

extern "C" {

// Joins a group of `size` processes at the store of `host` and `port`. This process serves the
// store if `serves` is true. `device` is the CUDA device for NCCL, or -1 for gloo.
bool electra_group_join(const char *host, uint16_t port, bool serves, int rank, int size, int device,
                        uint64_t join_seconds, uint64_t wait_seconds, Group **group, char *error, size_t capacity) {
  return guarded(error, capacity, [&] {
    c10d::TCPStoreOptions options;
    options.port = port;
    options.isServer = serves;
    options.waitWorkers = false;
    options.timeout = std::chrono::seconds(join_seconds);
    auto store = c10::make_intrusive<c10d::TCPStore>(host, options);
    // A group has one timeout for joining and for later operations. Joining has a separate limit
    // here, `join_seconds`, so the members first wait for each other at the store.
    std::vector<std::string> members;
    for (int member = 0; member < size; ++member)
      members.push_back("electra/rank " + std::to_string(member));
    store->set(members[rank], std::vector<uint8_t>{1});
    store->wait(members);
    std::chrono::milliseconds timeout = std::chrono::seconds(wait_seconds);
    auto backend = device < 0 ? join_gloo(store, rank, size, timeout) : join_nccl(store, rank, size, timeout, device);
    *group = new Group{store, backend};
  });
}

void electra_group_leave(Group *group) {
  char ignored[64];
  guarded(ignored, sizeof ignored, [&] { delete group; });
}

// Replaces `tensor` with its sum over all processes, in each of them.
bool electra_group_sum(Group *group, const at::Tensor *tensor, char *error, size_t capacity) {
  return guarded(error, capacity, [&] {
    std::vector<at::Tensor> tensors{*tensor};
    group->backend->allreduce(tensors)->wait();
  });
}

// Replaces `tensor` with that of rank 0.
bool electra_group_broadcast(Group *group, const at::Tensor *tensor, char *error, size_t capacity) {
  return guarded(error, capacity, [&] {
    std::vector<at::Tensor> tensors{*tensor};
    group->backend->broadcast(tensors)->wait();
  });
}
}
