// The class with which MindSpore Lite converts files. PyPI's runtime has its code, in libmindspore_converter.so, but not
// the header that declares it, so what is needed of it is declared here, for version 2.0.
#ifndef GDPRNN_LITE_CONVERTER_H_
#define GDPRNN_LITE_CONVERTER_H_

#include <memory>
#include <vector>

#include "include/api/status.h"
#include "include/api/types.h"
#include "include/registry/converter_context.h"

namespace mindspore {

class Converter {
 public:
  Converter();
  void SetSaveType(ModelType type);
  // Paths as characters; `weights` is for formats that keep them apart.
  Status Convert(converter::FmkType kind, const std::vector<char>& model, const std::vector<char>& output,
                 const std::vector<char>& weights);

 private:
  struct Data;
  std::shared_ptr<Data> data_;
};

}  // namespace mindspore

#endif  // GDPRNN_LITE_CONVERTER_H_
