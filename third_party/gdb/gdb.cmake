# GDB as a library for symbols/gdb/: where third_party/gdb/build leaves it, and a target that has it built while our own
# sources compile.
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/build)
execute_process(COMMAND ${CMAKE_CURRENT_LIST_DIR}/build where OUTPUT_VARIABLE GDB_FOLDER OUTPUT_STRIP_TRAILING_WHITESPACE
                COMMAND_ERROR_IS_FATAL ANY)
set(GDB_SOURCE ${GDB_FOLDER}/src)
set(GDB_BUILD ${GDB_FOLDER}/build)

# In a folder of its own: were the rule known here, every source above a user of GDB would wait for it. A source that includes
# GDB's headers has OBJECT_DEPENDS on DONE.
add_subdirectory(${CMAKE_CURRENT_LIST_DIR} EXCLUDE_FROM_ALL)

# libopcodes with what it needs. The archives are not named by path: "ninja clean" would take that as leave to delete them from
# the cache folder. Order: each before those that it refers to.
find_package(ZLIB REQUIRED)
pkg_check_modules(ZSTD REQUIRED IMPORTED_TARGET libzstd)
add_library(gdb_opcodes INTERFACE)
add_library(gdb::opcodes ALIAS gdb_opcodes)
target_include_directories(gdb_opcodes SYSTEM INTERFACE ${GDB_BUILD}/bfd ${GDB_SOURCE}/include)
target_link_directories(gdb_opcodes INTERFACE ${GDB_BUILD}/opcodes/.libs ${GDB_BUILD}/bfd/.libs ${GDB_BUILD}/libsframe/.libs
                                              ${GDB_BUILD}/libiberty)
target_link_libraries(gdb_opcodes INTERFACE -l:libopcodes.a -l:libbfd.a -l:libsframe.a -l:libiberty.a ZLIB::ZLIB PkgConfig::ZSTD
                                            ${CMAKE_DL_LIBS})
