# The numerics between the network and the tracks. They depend on Eigen alone, and the check program on nlohmann json.
set(STITCHING_SOURCES
    src/alignment.cc
    src/assignment.cc
    src/chirp_transform.cc
    src/chunks.cc
    src/gains.cc
    src/order_search.cc
    src/power_spectrum.cc
    src/sample_file.cc
    src/stitching.cc
    src/voiceprint.cc)

# Each with TEST_CASEs of doctest and no main.
set(STITCHING_TESTS
    test/alignment_test.cc
    test/assignment_test.cc
    test/chunks_test.cc
    test/gains_test.cc
    test/power_spectrum_test.cc
    test/sample_file_test.cc
    test/stitching_test.cc
    test/voiceprint_test.cc)

# A program of its own, which tests/infer310/test_cpp_stitching.py compares with the Python implementation.
set(STITCHING_CHECK test/stitching_check.cc)

# Where a processor has fused multiplication and addition, results would differ from NumPy's in the last bit.
set_source_files_properties(${STITCHING_SOURCES} PROPERTIES COMPILE_OPTIONS -ffp-contract=off)
