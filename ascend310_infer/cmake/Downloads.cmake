# Where downloads are kept, what fetches them, and for which machine.

set(GDPRNN_CACHE "$ENV{GDPRNN_CACHE}" CACHE PATH "Where downloads are kept; empty: .cache in the repository")
set(GDPRNN_PYTHON "$ENV{PYTHON}" CACHE FILEPATH "Python that fetches them; empty: .venv's or python3")

get_filename_component(repository ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
if(GDPRNN_CACHE)
  get_filename_component(cache_dir ${GDPRNN_CACHE} ABSOLUTE)
else()
  set(cache_dir ${repository}/.cache)
endif()

if(GDPRNN_PYTHON)
  set(download_python ${GDPRNN_PYTHON})
elseif(EXISTS ${repository}/.venv/bin/python)
  set(download_python ${repository}/.venv/bin/python)
else()
  set(download_python python3)
endif()

if(CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  set(target_machine x86_64)
  set(debian_machine amd64)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "^(aarch64|arm64)$")
  set(target_machine aarch64)
  set(debian_machine arm64)
endif()
