using System.Text.Json.Serialization;
using UPool.Hosting;

namespace UPool.Management;

/// <summary>The serializers of this project's replies, generated at build time without reflection.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull,
    GenerationMode = JsonSourceGenerationMode.Metadata)]
[JsonSerializable(typeof(Envelope))]
[JsonSerializable(typeof(Envelope<HealthReport>))]
[JsonSerializable(typeof(Envelope<PoolsReport>))]
internal sealed partial class ManagementJson : JsonSerializerContext;
