# Targets audio_libraries, header_libraries and doctest_headers: from the system, or from GDPRNN_LIBRARIES, a folder
# with include and lib that `python -m src.infer310.libraries` fills (see build.sh).

set(GDPRNN_LIBRARIES "" CACHE PATH "A folder with include and lib to search before the system's")

set(missing_libraries "")

function(find_c_library name header file)
  find_path(${name}_INCLUDE ${header} HINTS ${GDPRNN_LIBRARIES}/include)
  find_library(${name}_LIBRARY ${file} HINTS ${GDPRNN_LIBRARIES}/lib)
  mark_as_advanced(${name}_INCLUDE ${name}_LIBRARY)
  if(NOT ${name}_INCLUDE OR NOT ${name}_LIBRARY)
    list(APPEND missing_libraries ${name})
    set(missing_libraries ${missing_libraries} PARENT_SCOPE)
    return()
  endif()
  target_include_directories(audio_libraries SYSTEM INTERFACE ${${name}_INCLUDE})
  target_link_libraries(audio_libraries INTERFACE ${${name}_LIBRARY})
endfunction()

function(find_header_library target name header subfolder)
  find_path(${name}_INCLUDE ${header} HINTS ${GDPRNN_LIBRARIES}/include PATH_SUFFIXES ${subfolder})
  mark_as_advanced(${name}_INCLUDE)
  if(NOT ${name}_INCLUDE)
    list(APPEND missing_libraries ${name})
    set(missing_libraries ${missing_libraries} PARENT_SCOPE)
    return()
  endif()
  target_include_directories(${target} SYSTEM INTERFACE ${${name}_INCLUDE})
endfunction()

add_library(audio_libraries INTERFACE)
add_library(header_libraries INTERFACE)
add_library(doctest_headers INTERFACE)
find_c_library(libsndfile sndfile.h sndfile)
find_c_library(libsoxr soxr.h soxr)
find_c_library(libcrypto openssl/evp.h crypto)
find_header_library(header_libraries Eigen Eigen/Core eigen3)
find_header_library(header_libraries nlohmann_json nlohmann/json.hpp "")
if(GDPRNN_TESTS)
  find_header_library(doctest_headers doctest doctest/doctest.h "")
endif()

if(missing_libraries)
  list(JOIN missing_libraries ", " missing)
  fail(
    "not found: ${missing}. Debian, Ubuntu: apt-get install libsndfile1-dev libsoxr-dev libssl-dev libeigen3-dev "
    "nlohmann-json3-dev doctest-dev; Fedora, openEuler: dnf install libsndfile-devel soxr-devel openssl-devel "
    "eigen3-devel json-devel doctest-devel")
endif()
if(GDPRNN_LIBRARIES)
  # What these libraries need in turn lies beside them.
  target_link_options(audio_libraries INTERFACE
    -Wl,--disable-new-dtags -Wl,-rpath,${GDPRNN_LIBRARIES}/lib -Wl,-rpath-link,${GDPRNN_LIBRARIES}/lib)
endif()
