output "zoo" {
  description = "For KDZOO_ZOO."
  value       = "s3://${aws_s3_bucket.zoo.bucket}/${var.prefix}"
}

output "reader_policy" {
  description = "For whoever loads detectors."
  value       = aws_iam_policy.reader.arn
}

output "publisher_policy" {
  description = "For whoever publishes them."
  value       = aws_iam_policy.publisher.arn
}

output "publisher_instance_profile" {
  description = "For the head of infra/ray-aws.yaml."
  value       = aws_iam_instance_profile.publisher.name
}
