# Run by CPack between installing and packing: Debian wants manual pages and changelogs compressed.
set(usr ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/*${CPACK_PACKAGING_INSTALL_PREFIX})
file(GLOB files ${usr}/share/man/man1/*.1 ${usr}/share/doc/*/changelog)
foreach(file IN LISTS files)
  # Without a name and time, so that the same input gives the same package.
  execute_process(COMMAND gzip -9n ${file} COMMAND_ERROR_IS_FATAL ANY)
endforeach()
