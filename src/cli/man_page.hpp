#pragma once

#include <string>

namespace CLI {
class App;
}

namespace sqlane::cli {

// The page of `man sqlane`, in roff: of what `app` has. https://man7.org/linux/man-pages/man7/man.7.html
[[nodiscard]] std::string make_man_page(const CLI::App& app, const std::string& version);

}  // namespace sqlane::cli
