# electra_core_library(NAME TARGET RUST-TARGET PROCESSOR NAME-OF-THE-PROCESSOR)
#
# Defines the library NAME: libelectra_core.a for a microcontroller, and its header. Needs Rust with
# the target: `rustup target add RUST-TARGET`. The processor is one of
# `rustc --print target-cpus --target RUST-TARGET`; it decides which kernels are built.
set(ELECTRA_CORE_FOLDER "${CMAKE_CURRENT_LIST_DIR}")

function(electra_core_library name)
  cmake_parse_arguments(PARSE_ARGV 1 argument "" "TARGET;PROCESSOR" "")
  set(output "${CMAKE_CURRENT_BINARY_DIR}/${name}-cargo")
  set(archive "${output}/${argument_TARGET}/firmware/libelectra_core_c.a")
  # cargo knows whether something changed, so it is always called.
  add_custom_target(
    ${name}-cargo
    COMMAND
      ${CMAKE_COMMAND} -E env "RUSTFLAGS=-C target-cpu=${argument_PROCESSOR}" CARGO_INCREMENTAL=0
      cargo rustc --quiet --locked --profile firmware --crate-type staticlib
      --target ${argument_TARGET} --target-dir ${output} -p electra-capi-core
    WORKING_DIRECTORY "${ELECTRA_CORE_FOLDER}/../.."
    BYPRODUCTS ${archive}
    VERBATIM)
  add_library(${name} STATIC IMPORTED GLOBAL)
  set_target_properties(
    ${name} PROPERTIES IMPORTED_LOCATION ${archive}
                       INTERFACE_INCLUDE_DIRECTORIES "${ELECTRA_CORE_FOLDER}/include")
  add_dependencies(${name} ${name}-cargo)
endfunction()
