using System.Text.Encodings.Web;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.Configuration.Memory;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging.Console;

namespace UPool.Management;

/// <summary>The format of console logs: plain lines at a terminal, else JSON.</summary>
internal static class ConsoleLogs
{
    private const string Section = "Logging:Console";

    /// <summary>Sets the default format, which any setting overrides.</summary>
    public static void AddDefaults(WebApplicationBuilder builder)
    {
        string form = builder.Configuration[$"{Section}:FormatterName"]
            ?? (Console.IsOutputRedirected ? ConsoleFormatterNames.Json : ConsoleFormatterNames.Simple);
        bool isForMachines = form == ConsoleFormatterNames.Json;

        // First, so that every other source overrides it.
        builder.Configuration.Sources.Insert(0, new MemoryConfigurationSource
        {
            InitialData = new Dictionary<string, string?>
            {
                [$"{Section}:FormatterName"] = form,
                [$"{Section}:FormatterOptions:SingleLine"] = "true",
                [$"{Section}:FormatterOptions:TimestampFormat"] =
                    "yyyy-MM-dd'T'HH:mm:ss.fff'Z'" + (isForMachines ? "" : " "),
                [$"{Section}:FormatterOptions:UseUtcTimestamp"] = "true",
            },
        });

        // Messages are searched by their text, so quotes and non-ASCII letters stay unescaped.
        builder.Services.Configure<JsonConsoleFormatterOptions>(static json =>
            json.JsonWriterOptions = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
    }
}
