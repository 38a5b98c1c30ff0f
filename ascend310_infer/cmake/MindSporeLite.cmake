# The target mindspore_lite: MindSpore's C++ API, from the SDK that LITE_HOME names or from PyPI's runtime; and
# mindspore_converter, its converter, where that is there.
#
# PyPI's wheel is made for Python, but its library exports the C++ API and needs no Python. It is fetched by pip,
# compared with the checksum below, and what is needed of it is kept in a cache: GDPRNN_CACHE, or .cache in the
# repository. A second build needs no network.

set(LITE_HOME "$ENV{LITE_HOME}" CACHE PATH "MindSpore Lite SDK; empty: PyPI's runtime")
set(lite_version 2.0.0)
set(lite_sha256_x86_64 199cd0605cc985b88eddb273db9dfe9000a585ba10ca2292b6b36ebfff07b3ec)
set(lite_sha256_aarch64 9006b56a0285833802b4880f34cbce5f94111ef5ca4071d5df5c61e8c2a3a6f7)
set(lite_platform_x86_64 manylinux1_x86_64)
set(lite_platform_aarch64 manylinux2014_aarch64)  # the file is tagged for any machine, only its content is not

# Leaves the wheel's path in `result`, with the right checksum.
function(fetch_lite_wheel machine folder result)
  execute_process(COMMAND ${download_python} -m pip --version RESULT_VARIABLE status OUTPUT_QUIET ERROR_QUIET)
  if(NOT status EQUAL 0)
    fail("${download_python} has no pip, which is needed to get mindspore-lite ${lite_version}: install it "
                        "(apt-get install python3-pip), set PYTHON to one that has it, or set LITE_HOME to an SDK")
  endif()
  message(STATUS "Fetching mindspore-lite ${lite_version} for ${machine} with pip (about 170 MB, once)")
  execute_process(
    COMMAND ${download_python} -m pip download --disable-pip-version-check --quiet --no-deps --only-binary=:all:
            --python-version 3.7 --implementation cp --abi cp37m --abi none --platform ${lite_platform_${machine}}
            --dest ${folder} mindspore-lite==${lite_version}
    RESULT_VARIABLE status OUTPUT_VARIABLE log ERROR_VARIABLE log)
  file(GLOB wheels ${folder}/mindspore_lite-${lite_version}-*.whl)
  list(LENGTH wheels count)
  if(NOT status EQUAL 0 OR NOT count EQUAL 1)
    file(REMOVE_RECURSE ${folder})
    string(REGEX MATCH "ERROR: [^\n]*" reason "${log}")
    fail("mindspore-lite ${lite_version} was not fetched (${reason}): check the network, or set "
                        "LITE_HOME to an SDK")
  endif()
  file(SHA256 ${wheels} found)
  if(NOT found STREQUAL lite_sha256_${machine})
    file(REMOVE_RECURSE ${folder})
    fail("mindspore-lite ${lite_version} for ${machine}: found a file with SHA-256 ${found}, expected "
                        "${lite_sha256_${machine}}: it is not used")
  endif()
  set(${result} ${wheels} PARENT_SCOPE)
endfunction()

# Leaves the runtime's folder in `result`, from the cache or from PyPI.
function(get_lite_from_pypi result)
  if(NOT target_machine)
    fail("found a machine of type ${CMAKE_SYSTEM_PROCESSOR}, expected x86_64 or aarch64, for which PyPI has "
         "mindspore-lite: set LITE_HOME to an SDK")
  endif()
  set(final ${cache_dir}/mindspore_lite/${lite_version}-${target_machine})
  if(NOT EXISTS ${final})
    file(LOCK ${cache_dir}/mindspore_lite.lock GUARD FUNCTION)  # another build may be fetching it
  endif()
  if(NOT EXISTS ${final})
    file(GLOB leftovers ${cache_dir}/mindspore_lite/*.part)  # of a build that was interrupted
    if(leftovers)
      file(REMOVE_RECURSE ${leftovers})
    endif()
    set(aside ${final}.part)
    file(MAKE_DIRECTORY ${aside})
    fetch_lite_wheel(${target_machine} ${aside} wheel)
    # The libraries that the C++ API loads on a CPU, and the two that it loads for Ascend.
    set(libraries "mindspore-extendrt_python.so" "mindspore_converter.so" "mindspore_core.so" "mindspore_glog.so*"
                  "mslite_converter_plugin.so" "msplugin-ge-litert_python.so" "runtime_convert_plugin_python.so"
                  "opencv_*.so*"
                  "ascend_kernel_plugin_python.so" "ascend_pass_plugin.so")
    if(target_machine STREQUAL "x86_64")
      list(APPEND libraries "dnnl.so*")
    endif()
    list(TRANSFORM libraries PREPEND "mindspore_lite/lib/lib")
    file(ARCHIVE_EXTRACT INPUT ${wheel} DESTINATION ${aside} PATTERNS ${libraries} "mindspore_lite/include/*")
    file(REMOVE ${wheel})
    file(RENAME ${aside}/mindspore_lite ${final})
    file(REMOVE_RECURSE ${aside})
  endif()
  set(${result} ${final} PARENT_SCOPE)
endfunction()

if(LITE_HOME)
  get_filename_component(lite_dir ${LITE_HOME} ABSOLUTE)
  set(lite_include ${lite_dir}/runtime)
  file(GLOB lite_glog ${lite_dir}/runtime/third_party/glog/libmindspore_glog.so* ${lite_dir}/runtime/lib/libmindspore_glog.so*)
  set(lite_library ${lite_dir}/runtime/lib/libmindspore-lite.so)
  file(GLOB lite_more_folders LIST_DIRECTORIES true ${lite_dir}/runtime/third_party/*)
else()
  get_lite_from_pypi(lite_dir)
  set(lite_include ${lite_dir})
  file(GLOB lite_glog ${lite_dir}/lib/libmindspore_glog.so*)
  set(lite_library ${lite_dir}/lib/libmindspore-extendrt_python.so)
endif()
foreach(needed ${lite_library} ${lite_include}/include/api/model.h)
  if(NOT EXISTS ${needed})
    fail("${needed}: no such file, expected as a part of MindSpore Lite (LITE_HOME is '${LITE_HOME}')")
  endif()
endforeach()
# What networks converted by this runtime are kept by.
if(LITE_HOME)
  file(SHA256 ${lite_library} lite_identity)
  string(SUBSTRING ${lite_identity} 0 16 lite_identity)
else()
  set(lite_identity ${lite_version}-${target_machine})
endif()
message(STATUS "MindSpore Lite: ${lite_library}")

add_library(mindspore_lite INTERFACE)
target_include_directories(mindspore_lite SYSTEM INTERFACE ${lite_include} ${lite_include}/include)
target_link_libraries(mindspore_lite INTERFACE ${lite_library} ${lite_glog})
# The other libraries of the runtime are found beside it when it is loaded: by an RPATH, which, unlike a RUNPATH,
# counts for them too.
target_link_options(mindspore_lite INTERFACE -Wl,--disable-new-dtags -Wl,--allow-shlib-undefined)
foreach(folder ${lite_more_folders})
  target_link_options(mindspore_lite INTERFACE -Wl,-rpath,${folder})
endforeach()

foreach(folder lib runtime/lib tools/converter/lib)
  set(lite_converter ${lite_dir}/${folder}/libmindspore_converter.so)
  if(EXISTS ${lite_converter} AND NOT TARGET mindspore_converter)
    add_library(mindspore_converter INTERFACE)
    target_link_libraries(mindspore_converter INTERFACE ${lite_converter})
  endif()
endforeach()
