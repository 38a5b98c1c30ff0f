// What is needed of the converter in MindSpore Lite 2.0. PyPI's runtime has its library, but not its header.
#ifndef GDPRNN_RUNTIME_CONVERTER_H_
#define GDPRNN_RUNTIME_CONVERTER_H_

#include <memory>
#include <vector>

#include "include/api/status.h"
#include "include/api/types.h"

namespace mindspore {

struct ConverterPara;

namespace converter {
enum FmkType : int { kFmkTypeMs = 3 };  // of MindSpore's own files
}

class Converter {
 public:
  Converter();

  // Paths as lists of characters; the output's without its extension.
  Status Convert(converter::FmkType fmk_type, const std::vector<char>& model_file,
                 const std::vector<char>& output_file, const std::vector<char>& weight_file);
  void SetSaveType(ModelType save_type);

 private:
  std::shared_ptr<ConverterPara> data_;
};

}  // namespace mindspore

#endif  // GDPRNN_RUNTIME_CONVERTER_H_
