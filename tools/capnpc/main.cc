// capnpc-troupe: a plugin of the Cap'n Proto compiler; see docs/decisions/0011-generated-code.md.
//
//   capnp compile -o/path/to/capnpc-troupe:DIRECTORY bank.capnp
//
// Reads the compiler's request on standard input. Runs capnpc-c++ on the same, which writes
// bank.capnp.h and bank.capnp.c++, declares in the former what it adds, and writes bank.troupe.h
// and bank.troupe-inl.h beside them. What the schema uses wrongly is told on standard error, one
// line an error; then nothing is written and the exit code is 1.
//
// Environment: TROUPE_CAPNPC_CXX is the capnpc-c++ to run, else the one in PATH. TROUPE_SCHEMA_ROOT
// is the directory that --src-prefix names, so that errors can name lines.
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "analysis.h"
#include "capnp/serialize.h"
#include "kj/exception.h"
#include "kj/io.h"
#include "schema.h"
#include "text.h"

extern char** environ;

namespace troupe::capnpc {
namespace {

std::optional<std::string> ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  return std::string(std::istreambuf_iterator<char>(in), {});
}

void WriteFile(const std::string& path, const std::string& text) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out << text;
  out.close();
  if (!out) throw std::runtime_error("cannot write " + path);
}

// The compiler runs us in the output directory: names in the request mean nothing there.
std::optional<Schema::Source> FindSource(const std::string& file) {
  for (const char* variable : {"TROUPE_SCHEMA_ROOT", "PWD"}) {
    const char* root = std::getenv(variable);
    if (root == nullptr) continue;
    const std::string path = std::string(root) + "/" + file;
    if (auto text = ReadFile(path)) {
      return Schema::Source{variable == std::string("PWD") ? file : path, *std::move(text)};
    }
  }
  return std::nullopt;
}

void RunCapnpcCxx(kj::ArrayPtr<const kj::byte> request) {
  const char* named = std::getenv("TROUPE_CAPNPC_CXX");
  std::string program = named != nullptr ? named : "capnpc-c++";
  int ends[2];
  if (pipe(ends) != 0) throw std::runtime_error("cannot make a pipe");
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
  posix_spawn_file_actions_addclose(&actions, ends[0]);
  posix_spawn_file_actions_addclose(&actions, ends[1]);
  char* arguments[] = {program.data(), nullptr};
  pid_t child = 0;
  const int error = posix_spawnp(&child, program.c_str(), &actions, nullptr, arguments, environ);
  posix_spawn_file_actions_destroy(&actions);
  close(ends[0]);
  if (error != 0) {
    close(ends[1]);
    throw std::runtime_error("cannot run " + program + ": " + std::strerror(error));
  }
  signal(SIGPIPE, SIG_IGN);  // That it ended early, its exit code tells.
  for (size_t at = 0; at < request.size();) {
    const ssize_t n = write(ends[1], request.begin() + at, request.size() - at);
    if (n <= 0) break;
    at += static_cast<size_t>(n);
  }
  close(ends[1]);
  int status = 0;
  waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error(program + " failed");
}

int Run() {
  kj::FdInputStream in(STDIN_FILENO);
  const auto bytes = in.readAllBytes();
  auto words = kj::heapArray<capnp::word>(bytes.size() / sizeof(capnp::word));
  std::memcpy(words.asBytes().begin(), bytes.begin(), words.asBytes().size());
  capnp::FlatArrayMessageReader message(words, {.traversalLimitInWords = uint64_t{1} << 40});
  auto request = message.getRoot<capnp::schema::CodeGeneratorRequest>();

  Schema schema(request, FindSource);
  std::vector<File> files;
  for (auto file : request.getRequestedFiles()) files.push_back(Analysis(schema, file).Run());
  for (const auto& error : schema.errors()) std::fprintf(stderr, "%s\n", error.c_str());
  if (!schema.errors().empty()) return 1;

  RunCapnpcCxx(bytes);
  for (const auto& file : files) {
    std::string missing;
    const auto plain = ReadFile(file.schema + ".h");
    if (!plain) throw std::runtime_error("capnpc-c++ wrote no " + file.schema + ".h");
    const auto declared = Declare(file, *plain, missing);
    if (!declared) {
      throw std::runtime_error("capnpc-c++ wrote " + file.schema +
                               ".h in a form that is not known: "
                               "no definition of " +
                               missing + " is found in it");
    }
    const auto base = file.schema.substr(0, file.schema.rfind(".capnp"));
    WriteFile(file.schema + ".h", *declared);
    WriteFile(base + ".troupe.h", HeaderText(file));
    WriteFile(base + ".troupe-inl.h", InlineText(file));
  }
  return 0;
}

}  // namespace
}  // namespace troupe::capnpc

int main() {
  try {
    return troupe::capnpc::Run();
  } catch (const kj::Exception& e) {
    std::fprintf(stderr, "capnpc-troupe: %s\n", e.getDescription().cStr());
  } catch (const std::exception& e) {
    std::fprintf(stderr, "capnpc-troupe: %s\n", e.what());
  }
  return 1;
}
