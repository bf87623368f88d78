using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Mvc;
using UPool.Hosting;

namespace UPool.Management;

/// <summary>The serializers of this project's replies, generated at build time without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(Envelope))]
[JsonSerializable(typeof(ProblemDetails))]
[JsonSerializable(typeof(string))]
[JsonSerializable(typeof(Envelope<HealthReport>))]
[JsonSerializable(typeof(Envelope<PoolsReport>))]
internal sealed partial class ManagementJson : JsonSerializerContext;
