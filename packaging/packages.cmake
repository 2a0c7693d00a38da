# Debian packages: cmake --workflow --preset package, then build/package/*.deb.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME acre)
set(CPACK_PACKAGE_VENDOR Acre)
set(CPACK_PACKAGE_CONTACT "The Acre developers <maintainers@acre.invalid>")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)

set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/compress.cmake)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_COMPONENTS_ALL dev malloc)
if(TARGET acre_tool)
  list(APPEND CPACK_COMPONENTS_ALL tool)
endif()

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(same_version "(= ${PROJECT_VERSION})")

set(CPACK_DEBIAN_MALLOC_PACKAGE_NAME libacre-malloc)
set(CPACK_DEBIAN_MALLOC_PACKAGE_SECTION libs)
set(CPACK_DEBIAN_MALLOC_DESCRIPTION "heap for any Linux program
libacre-malloc.so takes the place of the program's malloc and operator new, by
preloading or by linking, and needs nothing but the C library.")
set(CPACK_DEBIAN_MALLOC_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/triggers)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libacre-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "libacre-malloc ${same_version}, libc6-dev, libstdc++-12-dev | libstdc++-dev")
set(CPACK_DEBIAN_DEV_PACKAGE_SHLIBDEPS OFF)
set(CPACK_DEBIAN_DEV_DESCRIPTION "memory management for C++ programs, development files
Heaps as std::pmr memory resources, the malloc family under its own names, and
the files to link a program with Acre, for CMake and for pkg-config.")

set(CPACK_DEBIAN_TOOL_PACKAGE_NAME acre)
set(CPACK_DEBIAN_TOOL_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_TOOL_PACKAGE_DEPENDS "libacre-malloc ${same_version}")
set(CPACK_DEBIAN_TOOL_DESCRIPTION "run programs on Acre's heap and see what memory they used
'acre run -- command' runs any dynamically linked program on Acre's heap and
prints its peak memory, exact allocation counts and where memory was wasted.")

include(CPack)
