# How a layer, a program and a test are declared. See docs/architecture.md for the layers.

add_library(troupe_flags INTERFACE)
target_compile_options(troupe_flags INTERFACE -Wall -Wextra -Wpedantic)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # g++ 12 sees uninitialised values in coroutines and overlapping copies in std::string, where
  # there are none.
  target_compile_options(troupe_flags INTERFACE -Wno-maybe-uninitialized -Wno-restrict)
else()
  # KJ's macros are such expressions.
  target_compile_options(troupe_flags INTERFACE -Wno-gnu-statement-expression-from-macro-expansion)
endif()
if(TROUPE_WERROR)
  target_compile_options(troupe_flags INTERFACE -Werror)
endif()
if(TROUPE_SANITIZE)
  target_compile_options(troupe_flags INTERFACE -fsanitize=${TROUPE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(troupe_flags INTERFACE -fsanitize=${TROUPE_SANITIZE})
  # Undefined behaviour that is only printed would pass for success.
  target_compile_options(troupe_flags INTERFACE -fno-sanitize-recover=undefined)
  target_compile_definitions(troupe_flags INTERFACE _GLIBCXX_ASSERTIONS)
endif()
# A factor of the time limits of tests, also of those that a test itself measures against the clock:
# with a sanitizer a program takes three to ten times as long.
if(TROUPE_SANITIZE)
  set(TROUPE_TEST_SLOWDOWN 5)
else()
  set(TROUPE_TEST_SLOWDOWN 1)
endif()
find_program(MOLD mold)
if(MOLD)
  target_link_options(troupe_flags INTERFACE -fuse-ld=mold)
endif()

# Looked up by name: Debian's CapnProto package points its tool targets at files that are not there.
find_program(CAPNP_TOOL capnp REQUIRED)
find_program(CAPNPC_CXX capnpc-c++ REQUIRED)

# troupe_layer(name SOURCES ... SCHEMAS ... DEPENDS ... [FOLDER ...]): one folder as a library, the
# top-level one of that name unless FOLDER says another.
#
# Its headers are reached as "troupe/<name>/x.h" through an include root of its own, so that a
# header of a layer above is not found at all.
function(troupe_layer name)
  cmake_parse_arguments(ARG "" "FOLDER" "SOURCES;SCHEMAS;DEPENDS" ${ARGN})
  if(NOT ARG_SOURCES)
    return()
  endif()
  if(NOT ARG_FOLDER)
    set(ARG_FOLDER ${name})
  endif()
  set(root ${PROJECT_BINARY_DIR}/include/${name})
  file(MAKE_DIRECTORY ${root}/troupe)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${ARG_FOLDER} ${root}/troupe/${name} SYMBOLIC)
  file(GLOB headers CONFIGURE_DEPENDS ${root}/troupe/${name}/*.h)
  add_library(troupe_${name} STATIC ${ARG_SOURCES})
  add_library(troupe::${name} ALIAS troupe_${name})
  target_link_libraries(troupe_${name} PUBLIC ${ARG_DEPENDS} PRIVATE $<BUILD_INTERFACE:troupe_flags>)
  target_compile_features(troupe_${name} PUBLIC cxx_std_20)
  set_target_properties(troupe_${name} PROPERTIES EXPORT_NAME ${name})
  target_sources(troupe_${name} PUBLIC FILE_SET HEADERS BASE_DIRS ${root} FILES ${headers})
  set_property(GLOBAL APPEND PROPERTY TROUPE_IMPORT_ROOTS ${root})
  if(ARG_SCHEMAS)
    troupe_schema_sources(troupe_${name} ${root}/troupe/${name} troupe/${name} ${ARG_SCHEMAS})
  endif()
  troupe_install_layer(${name} ${ARG_SCHEMAS})
endfunction()

# Generates C++ for the schemas of `target`; "<prefix>/x.capnp.h" is then includable by it and by
# whoever links it. Schemas may import "/troupe/<layer>/x.capnp" and "/capnp/c++.capnp".
function(troupe_schema_sources target source_dir prefix)
  get_property(roots GLOBAL PROPERTY TROUPE_IMPORT_ROOTS)
  set(out ${PROJECT_BINARY_DIR}/schema/${target})
  set(imports "")
  foreach(root ${roots})
    list(APPEND imports -I${root})
  endforeach()
  foreach(schema ${ARGN})
    set(generated ${out}/${prefix}/${schema}.c++ ${out}/${prefix}/${schema}.h)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${out}/${prefix}
      COMMAND ${CAPNP_TOOL} compile
              -o${CAPNPC_CXX}:${out}/${prefix}
              --src-prefix=${source_dir} ${imports} -I${CAPNP_INCLUDE_DIRECTORY} ${source_dir}/${schema}
      DEPENDS ${source_dir}/${schema}
      COMMENT "Generating ${prefix}/${schema}.h"
      VERBATIM)
    target_sources(${target} PRIVATE ${generated})
  endforeach()
  target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${out}>)
endfunction()

# Schemas of a program or a test: "dir/x.capnp" is included as "x.capnp.h".
function(troupe_program_schemas target)
  foreach(schema ${ARGN})
    get_filename_component(directory ${schema} DIRECTORY)
    get_filename_component(file ${schema} NAME)
    troupe_schema_sources(${target} ${CMAKE_CURRENT_SOURCE_DIR}/${directory} "." ${file})
  endforeach()
endfunction()

# troupe_test(name SOURCES ... DEPENDS ... [LABELS ...]): one GoogleTest program, one ctest entry.
function(troupe_test name)
  cmake_parse_arguments(ARG "" "TIMEOUT" "SOURCES;DEPENDS;LABELS;SCHEMAS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} GTest::gmock GTest::gtest GTest::gtest_main troupe_flags)
  troupe_program_schemas(${name} ${ARG_SCHEMAS})
  if(NOT ARG_TIMEOUT)
    set(ARG_TIMEOUT 120)
  endif()
  math(EXPR ARG_TIMEOUT "${ARG_TIMEOUT} * ${TROUPE_TEST_SLOWDOWN}")
  if(NOT ARG_LABELS)
    set(ARG_LABELS fast)
  endif()
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${ARG_TIMEOUT} LABELS "${ARG_LABELS}"
    ENVIRONMENT "TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/tsan.supp")
endfunction()

# troupe_program(name SOURCES ... SCHEMAS ... DEPENDS ...): an executable in build/bin.
function(troupe_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;SCHEMAS;DEPENDS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE ${ARG_DEPENDS} troupe_flags)
  set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/bin)
  troupe_program_schemas(${name} ${ARG_SCHEMAS})
endfunction()
