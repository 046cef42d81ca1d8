# troupe_schema(TARGET FILE...): C++ for schemas with actors, compiled into TARGET.
#
# For bank.capnp, TARGET and who links it may include "bank.troupe.h": the actor bases and refs of
# the interfaces with $Troupe.actor, and what Cap'n Proto itself generates. A file in a folder can be
# included with and without that folder. Schemas may import "/troupe/actors/troupe.capnp",
# "/capnp/c++.capnp", files relative to themselves, and from "/" files below the current source
# directory; those with actors or values need a troupe_schema of the same TARGET, or of one it links.
#
# Needs CAPNP_TOOL and CAPNPC_CXX, the programs, and the target troupe::capnpc-troupe.
function(troupe_schema target)
  get_property(roots GLOBAL PROPERTY TROUPE_IMPORT_ROOTS)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/schema/${target})
  set(files "")
  foreach(schema ${ARGN})
    get_filename_component(schema ${schema} ABSOLUTE)
    list(APPEND files ${schema})
  endforeach()
  set(includes ${out})
  foreach(schema ${files})
    set(root ${CMAKE_CURRENT_SOURCE_DIR})
    file(RELATIVE_PATH name ${root} ${schema})
    if(name MATCHES "^\\.\\./")
      get_filename_component(root ${schema} DIRECTORY)
      get_filename_component(name ${schema} NAME)
    endif()
    get_filename_component(folder ${out}/${name} DIRECTORY)
    string(REGEX REPLACE "\\.capnp$" "" base ${out}/${name})
    set(imports "")
    foreach(import ${root} ${roots} ${CAPNP_INCLUDE_DIRECTORY})
      list(APPEND imports -I${import})
    endforeach()
    set(generated ${out}/${name}.c++ ${out}/${name}.h ${base}.troupe.h ${base}.troupe-inl.h)
    add_custom_command(
      OUTPUT ${generated}
      COMMAND ${CMAKE_COMMAND} -E make_directory ${out}
      COMMAND ${CMAKE_COMMAND} -E env TROUPE_CAPNPC_CXX=${CAPNPC_CXX} TROUPE_SCHEMA_ROOT=${root}
              ${CAPNP_TOOL} compile -o$<TARGET_FILE:troupe::capnpc-troupe>:${out}
              --src-prefix=${root} ${imports} ${schema}
      DEPENDS ${files} troupe::capnpc-troupe
      COMMENT "Generating ${name} for ${target}"
      VERBATIM)
    target_sources(${target} PRIVATE ${generated})
    list(APPEND includes ${folder})
  endforeach()
  list(REMOVE_DUPLICATES includes)
  target_include_directories(${target} PUBLIC "$<BUILD_INTERFACE:${includes}>")
endfunction()
