#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sqlane::detail {

// A token of SQL in its normal form: texts that mean the same to SQLite have
// equal tokens. Words that SQLite takes as names are in small letters, and a
// name in quotes loses them where it is taken for the same without; words that
// it reserves are in capital letters.
struct NormalToken {
  enum class Kind : unsigned char { keyword, name, literal, symbol };
  Kind kind = Kind::symbol;
  std::string text;
  std::string_view source;  // of the text that was given

  [[nodiscard]] bool is(std::string_view keyword_or_symbol) const {
    return (kind == Kind::keyword || kind == Kind::symbol) && text == keyword_or_symbol;
  }
  // A word that SQLite reserves only in places, such as GENERATED.
  [[nodiscard]] bool is_word(std::string_view small_letters) const { return text == small_letters; }
};

[[nodiscard]] std::vector<NormalToken> normal_tokens(std::string_view sql);

// With spaces as people would set them. Different tokens give different texts.
[[nodiscard]] std::string to_text(std::span<const NormalToken> tokens);

[[nodiscard]] std::string normal_sql(std::string_view sql);

// A name as it stands in a normal text.
[[nodiscard]] std::string normal_name(std::string_view name);

// The value behind DEFAULT, where a bare word is a string.
[[nodiscard]] std::string normal_default(std::string_view sql);

// A column's type, in capital letters.
[[nodiscard]] std::string normal_type(std::string_view type);

// As SQLite compares names: letters of ASCII alone.
[[nodiscard]] std::string in_small_letters(std::string_view text);

// Is `word` one that cannot be a name without quotes? In capital letters.
[[nodiscard]] bool is_reserved(std::string_view word);

// Just behind the parenthesis that closes the one at `open`.
[[nodiscard]] std::size_t behind_group(std::span<const NormalToken> tokens, std::size_t open);

// The parts between commas that are in no parentheses.
[[nodiscard]] std::vector<std::span<const NormalToken>> split_at_commas(std::span<const NormalToken> tokens);

}  // namespace sqlane::detail
