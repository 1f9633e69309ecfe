variable "bucket" {
  description = "Name of the zoo's bucket; unique in all of AWS."
  type        = string
}

variable "prefix" {
  description = "Where in the bucket the zoo is; the zoo's address is s3://BUCKET/PREFIX."
  type        = string
  default     = "zoo"

  validation {
    condition     = can(regex("^[A-Za-z0-9][A-Za-z0-9._-]*(/[A-Za-z0-9][A-Za-z0-9._-]*)*$", var.prefix))
    error_message = "Parts joined by '/', without one at the beginning or the end."
  }
}

variable "name" {
  description = "What the policies and the role begin with."
  type        = string
  default     = "kdzoo"
}

variable "unfinished_upload_days" {
  description = "After how many days an upload that was never finished is removed."
  type        = number
  default     = 2
}
