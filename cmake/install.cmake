# Install rules and the exported package. Three components, one for each Debian package:
#   dev     the library, headers, CMake package and pkg-config files
#   malloc  libacre-malloc.so
#   tool    the acre command, its man page and the programs of acre bench
# Each has the pages of docs/ that its users need.
include(CMakePackageConfigHelpers)

set(cmake_dir ${CMAKE_INSTALL_LIBDIR}/cmake/acre)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

if(TARGET acre_malloc_shared)
  # The plain name libacre-malloc.so is what people write into LD_PRELOAD, so it goes with the library.
  install(TARGETS acre_malloc_shared EXPORT acre-targets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT malloc NAMELINK_COMPONENT malloc)
  install(TARGETS acre_malloc_static EXPORT acre-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev)
endif()
if(TARGET acre)
  install(TARGETS acre EXPORT acre-targets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT dev NAMELINK_COMPONENT dev
    FILE_SET HEADERS DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
  install(EXPORT acre-targets NAMESPACE acre:: DESTINATION ${cmake_dir} COMPONENT dev)
endif()
configure_package_config_file(cmake/acre-config.cmake.in acre-config.cmake
  INSTALL_DESTINATION ${cmake_dir})
write_basic_package_version_file(acre-config-version.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/acre-config.cmake ${PROJECT_BINARY_DIR}/acre-config-version.cmake
  DESTINATION ${cmake_dir} COMPONENT dev)

# The .pc files name the prefix relative to themselves, so an installed tree can be moved.
cmake_path(RELATIVE_PATH CMAKE_INSTALL_PREFIX BASE_DIRECTORY
  ${CMAKE_INSTALL_PREFIX}/${pkgconfig_dir} OUTPUT_VARIABLE pc_to_prefix)
foreach(name IN ITEMS acre acre-malloc)
  configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
  install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${pkgconfig_dir} COMPONENT dev)
endforeach()

if(TARGET acre_tool)
  install(TARGETS acre_tool RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR} COMPONENT tool)
  install(FILES docs/man/acre.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 COMPONENT tool)
  # What acre bench runs with each allocator.
  if(TARGET bench_workloads)
    install(TARGETS bench_workloads bench_pairs bench_measure
      RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/acre COMPONENT tool)
  endif()
endif()

# Debian wants the licence and the changes beside each package.
foreach(pair IN ITEMS dev=libacre-dev malloc=libacre-malloc tool=acre)
  string(REPLACE "=" ";" pair ${pair})
  list(GET pair 0 component)
  list(GET pair 1 package)
  install(FILES LICENSE RENAME copyright COMPONENT ${component}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package})
  install(FILES CHANGELOG.md RENAME changelog COMPONENT ${component}
    DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package})
endforeach()
install(FILES docs/heap.md docs/bytes.md COMPONENT dev
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libacre-dev)
install(DIRECTORY docs/os docs/region COMPONENT dev
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/libacre-dev)
install(FILES docs/heap.md docs/machine.md docs/maps.md docs/pages.md COMPONENT tool
  DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/acre)
