// gdprnn_infer with MindSpore's runtime. It takes the same options, and is run by that program, which has read them.
#include "infer.h"
#include "mindspore_network.h"
#include "options.h"
#include "program.h"

int main(int argc, char** argv) {
  gdprnn::RunProgram(
      [](const auto& arguments) {
        return gdprnn::Infer(gdprnn::ParseOptions(arguments), gdprnn::MakeMindSporeNetworks);
      },
      argc, argv);
}
