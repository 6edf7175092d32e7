# Turns files into one C++ source with a string_view for each.
# usage: cmake -DOUTPUT=file.cpp "-DASSETS=name=path|name=path::path" -P embed.cmake
string(REPLACE "|" ";" pairs "${ASSETS}")
set(text "#include \"analysis/html/assets.hpp\"\n\nnamespace metascale {\n")
foreach(pair IN LISTS pairs)
  string(REGEX MATCH "^([a-z_]+)=(.*)$" matched "${pair}")
  set(name ${CMAKE_MATCH_1})
  string(REPLACE "::" ";" files "${CMAKE_MATCH_2}")
  set(bytes "")
  foreach(file IN LISTS files)
    file(READ "${file}" more HEX)
    string(APPEND bytes "${more}")
  endforeach()
  # As numbers: a literal of this size would be cut by compilers, and its bytes need no escaping.
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(APPEND text "static const unsigned char ${name}_bytes[] = {${bytes}};\n"
         "const std::string_view ${name}{reinterpret_cast<const char*>(${name}_bytes), "
         "sizeof ${name}_bytes};\n")
endforeach()
string(APPEND text "}  // namespace metascale\n")
file(WRITE "${OUTPUT}" "${text}")
