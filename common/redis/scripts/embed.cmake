# cmake "-DIN=file;file" -DOUT=file.c -DNAME=symbol -P embed.cmake: the bytes of the files, one after the other, as a C
# array with a 0 after them.
set(hex "")
foreach(file ${IN})
  file(READ ${file} part HEX)
  string(APPEND hex "${part}")
endforeach()
string(LENGTH "${hex}" digits)
math(EXPR bytes "${digits} / 2")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," values "${hex}")
string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n" values "${values}")
file(WRITE ${OUT} "#include \"common/redis/redis_script.h\"\n\nconst char ${NAME}[] = {\n${values}0};\nconst unsigned long ${NAME}_bytes = ${bytes};\n")
