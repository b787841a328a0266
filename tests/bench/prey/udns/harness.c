/* What the resolver does with an answer: the question is read, then the parser of its type reads the packet. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "udns.h"

enum { QUESTION_END = 4 }; /* bytes of type and class behind the name */

static volatile unsigned sink;

static dns_parse_fn *parser(unsigned type) {
  switch (type) {
    case DNS_T_A: return dns_parse_a4;
    case DNS_T_AAAA: return dns_parse_a6;
    case DNS_T_PTR: return dns_parse_ptr;
    case DNS_T_MX: return dns_parse_mx;
    case DNS_T_TXT: return dns_parse_txt;
    case DNS_T_SRV: return dns_parse_srv;
    case DNS_T_NAPTR: return dns_parse_naptr;
    default: return NULL;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  dnsc_t name[DNS_MAXDN];
  char text[DNS_MAXNAME + 1];
  void *answer = NULL;
  if (size < DNS_HSIZE || dns_numqd(data) != 1) return 0;
  dnscc_t *end = data + size, *at = dns_payload(data);
  if (dns_getdn(data, &at, end, name, sizeof name) <= 0 || end - at < QUESTION_END) return 0;
  sink += (unsigned)dns_dntop(name, text, sizeof text);
  if (dns_get16(at + 2) != DNS_C_IN) return 0; /* the resolver asks for nothing else, and the parsers assert it */
  dns_parse_fn *parse = parser(dns_get16(at));
  if (parse && parse(name, data, at, end, &answer) >= 0) free(answer);
  return 0;
}
