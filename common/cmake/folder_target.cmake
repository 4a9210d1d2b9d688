# One static library per folder of common/; DEPENDS names the folders below it. tests/tools/check_layers.py checks that
# includes follow these lines, so the downward rule cannot rot.
function(folder_target name)
  cmake_parse_arguments(F "" "" "DEPENDS;LIBS" ${ARGN})
  file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.c)
  if(NOT sources)
    return()
  endif()
  add_library(orgimport_${name} STATIC ${sources})
  target_link_libraries(orgimport_${name} PUBLIC orgimport_flags ${F_LIBS})
  foreach(dep ${F_DEPENDS})
    target_link_libraries(orgimport_${name} PUBLIC orgimport_${dep})
  endforeach()
endfunction()
