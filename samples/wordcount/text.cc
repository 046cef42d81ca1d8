#include "text.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace {

std::string Quoted(const std::string& path) {
  std::string out = "'";
  for (char c : path) out += c == '\'' ? "'\\''" : std::string(1, c);
  return out + "'";
}

bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

}  // namespace

absl::StatusOr<std::vector<std::string>> ReadWords(const std::vector<std::string>& files) {
  std::vector<std::string> words;
  std::string word;
  auto end_word = [&] {
    if (!word.empty()) words.push_back(word);
    word.clear();
  };
  for (const auto& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) return absl::NotFoundError(absl::StrCat("cannot read ", file));
    // Files follow each other without a break, as `cat` gives them.
    for (std::istreambuf_iterator<char> it(in), last; it != last; ++it) {
      if (IsLetter(*it)) {
        word.push_back(static_cast<char>(std::tolower(static_cast<unsigned char>(*it))));
      } else {
        end_word();
      }
    }
  }
  end_word();
  return words;
}

absl::StatusOr<std::map<std::string, uint64_t>> CountByCoreutils(
    const std::vector<std::string>& files) {
  std::string command = "LC_ALL=C; export LC_ALL; cat";
  for (const auto& file : files) absl::StrAppend(&command, " ", Quoted(file));
  absl::StrAppend(&command, " | tr -cs 'A-Za-z' '\\n' | tr 'A-Z' 'a-z' | sort | uniq -c");
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (!pipe) return absl::UnavailableError("cannot run tr, sort and uniq");
  std::map<std::string, uint64_t> counts;
  char* line = nullptr;
  size_t capacity = 0;
  while (getline(&line, &capacity, pipe.get()) > 0) {
    char* rest = nullptr;
    const uint64_t count = std::strtoull(line, &rest, 10);
    std::string word(rest);
    std::erase_if(word, [](char c) { return !IsLetter(c); });
    if (!word.empty()) counts[word] += count;
  }
  free(line);
  return counts;
}

std::vector<std::string> FilesIn(const std::string& directory) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_regular_file(error) && !entry.is_symlink(error)) {
      files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}
