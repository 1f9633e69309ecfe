resource "aws_s3_bucket" "zoo" {
  bucket = var.bucket
}

resource "aws_s3_bucket_public_access_block" "zoo" {
  bucket                  = aws_s3_bucket.zoo.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_server_side_encryption_configuration" "zoo" {
  bucket = aws_s3_bucket.zoo.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

# A publisher that was killed leaves parts that nobody sees and that cost money. Nothing else ever expires: a release is
# for good, and `kdzoo zoo gc` knows which blobs are of none.
resource "aws_s3_bucket_lifecycle_configuration" "zoo" {
  bucket = aws_s3_bucket.zoo.id
  rule {
    id     = "unfinished-uploads"
    status = "Enabled"
    filter {}
    abort_incomplete_multipart_upload {
      days_after_initiation = var.unfinished_upload_days
    }
  }
}

resource "aws_s3_bucket_policy" "tls_only" {
  bucket = aws_s3_bucket.zoo.id
  policy = templatefile("${path.module}/policies/bucket.json", { bucket = var.bucket, prefix = var.prefix })
}

resource "aws_iam_policy" "reader" {
  name   = "${var.name}-reader"
  policy = templatefile("${path.module}/policies/reader.json", { bucket = var.bucket, prefix = var.prefix })
}

resource "aws_iam_policy" "publisher" {
  name   = "${var.name}-publisher"
  policy = templatefile("${path.module}/policies/publisher.json", { bucket = var.bucket, prefix = var.prefix })
}

# For the head of infra/ray-aws.yaml, where the driver publishes.
resource "aws_iam_role" "publisher" {
  name = "${var.name}-publisher"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Action    = "sts:AssumeRole"
      Principal = { Service = "ec2.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "publisher" {
  role       = aws_iam_role.publisher.name
  policy_arn = aws_iam_policy.publisher.arn
}

# Ray's autoscaler on the head starts and ends the workers.
resource "aws_iam_role_policy" "launcher" {
  name   = "${var.name}-launcher"
  role   = aws_iam_role.publisher.id
  policy = templatefile("${path.module}/policies/launcher.json", { cluster = var.name })
}

resource "aws_iam_instance_profile" "publisher" {
  name = "${var.name}-publisher"
  role = aws_iam_role.publisher.name
}
