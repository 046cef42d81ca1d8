# What `cmake --install` puts where:
#   lib/                libtroupe_<layer>.a
#   include/troupe/     headers and schemas as "troupe/<layer>/x.h", so that includes and imports
#                       read as in the tree
#   bin/                capnpc-troupe, the generator; troupe, the operator's command
#   lib/cmake/troupe/   find_package(troupe): targets troupe::<layer>, function troupe_schema()
include(CMakePackageConfigHelpers)
include(GNUInstallDirs)

function(troupe_install_layer name)
  install(TARGETS troupe_${name} EXPORT troupe
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT troupe
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT troupe)
  foreach(schema ${ARGN})
    install(
      FILES ${PROJECT_SOURCE_DIR}/${name}/${schema}
            ${PROJECT_BINARY_DIR}/schema/troupe_${name}/troupe/${name}/${schema}.h
      DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/troupe/${name} COMPONENT troupe)
  endforeach()
endfunction()

function(troupe_install_package)
  set(to ${CMAKE_INSTALL_LIBDIR}/cmake/troupe)
  install(TARGETS capnpc-troupe EXPORT troupe
    RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT troupe)
  install(TARGETS troupe RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT troupe)
  install(EXPORT troupe NAMESPACE troupe:: FILE troupe-targets.cmake DESTINATION ${to}
    COMPONENT troupe)
  configure_package_config_file(
    ${PROJECT_SOURCE_DIR}/cmake/troupe-config.cmake.in ${PROJECT_BINARY_DIR}/troupe-config.cmake
    INSTALL_DESTINATION ${to} PATH_VARS CMAKE_INSTALL_INCLUDEDIR)
  # Before 1.0 any minor version may break.
  write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/troupe-config-version.cmake COMPATIBILITY SameMinorVersion)
  install(
    FILES ${PROJECT_BINARY_DIR}/troupe-config.cmake
          ${PROJECT_BINARY_DIR}/troupe-config-version.cmake
          ${PROJECT_SOURCE_DIR}/cmake/troupe_schema.cmake
    DESTINATION ${to} COMPONENT troupe)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/cmake/compat DESTINATION ${to} COMPONENT troupe)
endfunction()
